"""python -m apps.portfolio_manager"""

import sys

from apps.portfolio_manager.main import main

sys.exit(main())
