"""Business Unit: reports | Status: current.

The daily report: page, mail and spreadsheet of one trading day.
"""
