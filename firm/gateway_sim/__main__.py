"""The command `python -m firm.gateway_sim`."""

import sys

from firm.gateway_sim.main import main

sys.exit(main())
