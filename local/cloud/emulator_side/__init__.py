"""Business Unit: local cloud | Status: current.

What runs inside the emulator's process, in its own environment. Nothing here may import anything of this project.
"""
