"""The package on a real boot: debootstrap, systemd-nspawn, the rig as units, and what breaks it."""
