"""python -m apps.sim_exchange"""

import sys

from apps.sim_exchange.main import main

sys.exit(main())
