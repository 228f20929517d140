"""`${NAME}` in a configuration file: what the environment holds under that name.

Written `${NAME}`, or `${NAME:-text}` with what counts where the variable is missing or empty; `$${` stands for the two
characters themselves. Only values are looked at, never keys, and what a variable holds is not looked at again. A value
without quotes is typed like any other text of the file: with CAP=250, `${CAP}` is a number and `"${CAP}"` a text. It
stays one value, whatever it holds, so a variable cannot bring in keys of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from core.config_layers import KeyPath, Layer, dotted

_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{")


def resolve(
    loader: yaml.SafeLoader, nodes: Mapping[KeyPath, yaml.Node], layer: Layer, environ: Mapping[str, str]
) -> list[str]:
    """Put the values of variables into the nodes of a file, before values are made of them.

    Args:
        loader: decides what kind of value an unquoted text is.
        nodes: of the file, by their path.
        layer: whose places are known; every value with a reference in it becomes one of its secrets, as nobody can
            say what a variable holds.
        environ: the environment.

    Returns:
        One line per reference that is wrong or whose variable is missing.
    """
    problems: list[str] = []
    done: set[int] = set()
    for path, node in nodes.items():
        if not isinstance(node, yaml.ScalarNode) or not (id(node) in done or "${" in node.value):
            continue
        layer.secret.add(path)
        if id(node) in done:
            continue
        done.add(id(node))
        expanded, wrong = _expand(node.value, environ)
        problems += [f"{layer.origin(path)}: {dotted(path)}: {each}" for each in wrong]
        node.value = expanded
        if not node.style:
            node.tag = loader.resolve(yaml.ScalarNode, expanded, (True, False))  # type: ignore[no-untyped-call]
    return problems


def _expand(text: str, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    wrong: list[str] = []

    def value(found: re.Match[str]) -> str:
        name, default = found[1], found[2]
        if found[0] == "$${":
            return "${"
        if name is None:
            wrong.append(
                "holds a `${` that is no reference; allowed: ${NAME}, ${NAME:-text}, or $${ for the characters"
            )
            return ""
        if default is not None:
            return environ.get(name) or default
        if name not in environ:
            wrong.append(
                f"the variable {name} is not set; set it, or write ${{{name}:-text}} with what counts without it"
            )
        return environ.get(name, "")

    return _REFERENCE.sub(value, text), wrong
