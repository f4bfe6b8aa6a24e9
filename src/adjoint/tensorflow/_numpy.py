"""tf.experimental.numpy: adjoint's functions under NumPy's names."""
