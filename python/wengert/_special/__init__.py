"""What `wengert.special` has beyond the table's rows, by topic. Computed in float64 where the device has it."""
