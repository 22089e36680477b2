"""What tests run against, each thing once. Promise: all of it is gone afterwards; loopback only.

Whole programs: `programs` starts and ends them, `fleet` is a manager, its agents and the world.
In this process: `manager`, `settings_stream` (a manager's and an agent's half), `content_filter`
and `filter_dialogue`, `delivery`, `one_process` (the whole product). Values: `clusters` (random
ones), `stored_clusters` (in etcd).
"""
