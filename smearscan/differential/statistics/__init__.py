"""Statistics of counts: pure, vectorized functions on integer arrays, each with its source."""
