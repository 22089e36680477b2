"""What manager and agent must mean alike.

In: values from either side. Out: the same values, checked, hashed, encoded.
Promise: nothing here knows which of the two programs it runs in; I/O only in `edge`.
"""
