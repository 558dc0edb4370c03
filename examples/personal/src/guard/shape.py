# Managed by the private-worker template: do not edit, an update replaces it.
"""Which kinds of callers this project was made for. Lists in the settings cannot widen this.

The guard is the same in every project; here the rest is switched off.
To change it: `copier update --vcs-ref=:current: --data callers=...`
"""

HUMANS = True
MACHINES = False
