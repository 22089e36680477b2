"""Every change: read -> edit -> plan -> check the fingerprint -> commit; and every read.

In: decoded requests and who asks. Out: plans, commits, explanations.
Promise: what the plan shows is exactly what the commit does.
"""
