"""python -m apps.run"""

import sys

from apps.run.main import main

sys.exit(main())
