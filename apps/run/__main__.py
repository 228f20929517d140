"""python -m apps.run"""

import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing has begun yet: Ctrl-C ends it without a traceback

from apps.run.main import main

sys.exit(main())
