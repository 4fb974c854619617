"""The panels of the window, one file each; none of them knows another."""
