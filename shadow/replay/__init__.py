"""Business Unit: replay | Status: current.

Historical plans, republished to the candidate in dry run and compared with what the control did at the time. A replay has a
name of its own, so that it meets neither the live pair nor an earlier replay, and is never counted as live coverage.
"""
