"""Measures the budgets of the design: `python -m bench [SUBJECT …]`, a file for each subject.

The one rule: a figure comes from the real daemon in a process of its own, seen from outside.
"""
