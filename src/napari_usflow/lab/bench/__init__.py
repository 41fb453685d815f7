"""The benchmark: every method and peer, its time, its memory and its quality.

Each method runs over each stack once in a process of its own, which gives the memory
and a first time. Those that are quick then take turns in this process, and the smallest
time of each counts: it is the one that other work on the machine disturbed least.
Quality is measured once for each method, on the same noise for all. What would take too
long is left out before it is begun, judged by the smaller sizes.
"""
