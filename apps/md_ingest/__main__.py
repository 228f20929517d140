"""python -m apps.md_ingest"""

import sys

from apps.md_ingest.main import main

sys.exit(main())
