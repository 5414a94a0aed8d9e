"""What a panel gives back of the frames before, as numbers.

Lives here: the traps of the panel of the rig.  May not live here: pixels (`panel`), or an array
library: virtual time reads these numbers with the standard library alone.
"""

from __future__ import annotations

from typing import Final

# share left in the next frame and time constant in ns, a good panel of domain facts §3
LAG: Final = ((0.0031, 110e6), (0.0010, 1500e6))
LAG_AT_NS: Final = 66e6
