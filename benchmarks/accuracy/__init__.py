"""How far values and derivatives are from exact ones: adjoint beside TensorFlow, PyTorch and JAX.

    python -m benchmarks.accuracy                measure everything and write docs/accuracy.md
    python -m benchmarks.accuracy --show tanh    measure some functions and print
    python -m benchmarks.accuracy.reference      compute the exact values again (minutes)

``cases`` is the table of functions, ``grids`` draws the arguments, ``jets`` computes exact values and derivatives with
mpmath, ``reference`` keeps them, ``worker`` evaluates one library in a process of its own, ``measure`` compares.
"""
