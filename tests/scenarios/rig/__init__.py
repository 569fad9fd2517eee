"""The fault rig: a whole Latchkey on real servers, with a fault proxy in front of everything it depends on.

Nothing in here is a stand-in for a part of Latchkey. The one thing that is made up is the provider, and its bill,
a file that is on the disk before the provider answers, is the truth that ledger, rollups and counters are held against.
"""
