"""Business Unit: reports | Status: current.

What people look at: frames, the daily report, readiness, charts, mail, the notebook.
"""
