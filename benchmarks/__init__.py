"""adjoint beside TensorFlow, PyTorch and JAX: ``python -m benchmarks --help``.

rows/        one file per program, written out for each library; a function gets the library and gives back one step
worker.py    runs inside one library's interpreter: builds a step, times it when told
harness.py   asks the workers in turn, so that noise of the machine hits all alike
imports.py   import time and installed size
install.py   makes the peers' environments
machine.py   processor, versions, and the machine's limits
accuracy/    how true the gradients are (python -m benchmarks.accuracy)
table.py     the same table for a terminal, a pipe and docs/benchmarks.md
"""
