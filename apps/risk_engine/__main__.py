"""python -m apps.risk_engine"""

import sys

from apps.risk_engine.main import main

sys.exit(main())
