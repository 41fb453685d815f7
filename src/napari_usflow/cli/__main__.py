"""``python -m napari_usflow.cli`` is ``usflow``."""

import sys

from napari_usflow.cli import main

sys.exit(main())
