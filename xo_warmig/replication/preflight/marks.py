"""What preflight, engine and pools know each other by."""

# SM refuses a snapshot at 30; each pass adds one until the coalescer has caught up.
MOST_CHAIN_DEPTH = 25
# The texts that this project blocks operations with begin so.
OUR_MARK = "xo_warmig"
# The key of a source VM's other_config that says which server has it (R16).
DOOR = "xo_warmig:door"
