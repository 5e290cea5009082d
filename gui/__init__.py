"""The dashboard: a client of the running station."""

import os

os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")  # before pyqtgraph looks for a binding of its own
