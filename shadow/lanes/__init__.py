"""Business Unit: lanes | Status: current.

One adapter a lane: how its run of a plan is started, found, looked at and read into an outcome; and the brokers as witnesses.
"""
