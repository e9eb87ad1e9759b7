"""Types of numpy arrays."""

import numpy
from numpy.typing import NDArray

FloatArray = NDArray[numpy.float64]
IntArray = NDArray[numpy.intp]
