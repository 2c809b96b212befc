"""Business Unit: local cloud | Status: current.

What AWS refuses, or does otherwise, and the emulators accept: each rule with its source, and a check that stands in for AWS.
"""
