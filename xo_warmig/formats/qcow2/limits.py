"""What a file may claim, so that a reader's memory and time are bounded whatever it does claim."""

from xo_warmig.model.units import KIB, MIB, TIB

ENTRY_BYTES = 8  # of an L1 and of an L2 table

MOST_SIZE_BYTES = 16 * TIB  # SM makes no larger disk
LEAST_CLUSTER_BITS = 12
MOST_CLUSTER_BITS = 21  # as in qemu; SM and xapi write 16, 64 KiB
MOST_L1_ENTRIES = 2**17  # 1 MiB; 16 TiB of 64 KiB clusters take 2**15
LEAST_HEADER_BYTES = 104
MOST_HEADER_BYTES = 4 * KIB
# Between the header and the L1 table are the refcounts: for each cluster of the file two bytes, when that file is full, and their table.
MOST_L1_OFFSET = 640 * MIB
MOST_BETWEEN_BYTES = 64 * MIB  # that are no L2 tables, from the L1 table to the last of them
