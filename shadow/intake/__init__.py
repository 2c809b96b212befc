"""Business Unit: intake | Status: current.

Behind the queue that publishers send to: the only road on which a lane that shadows is started.
"""
