"""`tdc-manager doctor`: what is wrong with a manager's etcd, folder and store.

In: a data folder. Out: findings, each with what it means and the command that fixes it. Promise: it
writes nothing and stops nothing; what it can't look at is a finding, and the rest is looked at.
"""
