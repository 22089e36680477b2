"""PURE. The commands of `tdc` with the words that they take, one a line; for completion.

Written by `python -m tests.tree.command_words`; not by hand. An argument, or the value of an
option, is what stands for it in the help; `*` after it: several. `tdc` takes what all do.
"""

WORDS = """
tdc: --output,-o={table|json|yaml} --config=FILE --timeout=SECONDS --version --install-completion
 --show-completion --help,-h
status: --cluster=CLUSTER --group=GROUP --machine=MACHINE --state=STATE --check
export: --cluster=CLUSTER --revision=REVISION --schema
apply: --file,-f=FILE --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS --out=FILE
 --prune
cluster create: NAME --dry-run --yes,-y --comment,-m=TEXT
cluster list:
cluster show: NAME
cluster delete: NAME --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS --out=FILE
cluster rename: NAME NEW_NAME --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS
 --out=FILE
group create: NAME --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS --out=FILE
 --cluster=CLUSTER
group rename: NAME NEW_NAME --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS
 --out=FILE --cluster=CLUSTER
group delete: NAME --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS --out=FILE
 --move-to=GROUP --cluster=CLUSTER
group list: --cluster=CLUSTER
group show: NAME --cluster=CLUSTER
machine create: NAME --group=GROUP --dry-run --yes,-y --comment,-m=TEXT --wait
 --wait-limit=SECONDS --out=FILE --cluster=CLUSTER
machine move: NAME --to=GROUP --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS
 --out=FILE --cluster=CLUSTER
machine rename: NAME NEW_NAME --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS
 --out=FILE --cluster=CLUSTER
machine remove: NAME --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS --out=FILE
 --stop-copying --cluster=CLUSTER
machine list: --cluster=CLUSTER --group=GROUP
machine show: NAME --cluster=CLUSTER
machine token: NAME --cluster=CLUSTER --lifetime=TIME
machine withdraw: NAME --cluster=CLUSTER --reason=TEXT --yes,-y
machine suspend: NAME* --copying --delivery --match=PATTERN --group=GROUP --dry-run --yes,-y
 --reason=TEXT --for=TIME --until=TIME --cluster=CLUSTER
machine resume: NAME* --copying --delivery --match=PATTERN --group=GROUP --dry-run --yes,-y
 --cluster=CLUSTER
settings list:
settings show: LEVEL NAME --effective=MACHINE --cluster=CLUSTER
settings check: --cluster=CLUSTER
settings explain: MACHINE SETTING --cluster=CLUSTER
settings set: LEVEL NAMES_VALUES* --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS
 --out=FILE --match=PATTERN --in-group=GROUP --cluster=CLUSTER
settings unset: LEVEL NAMES_SETTINGS* --dry-run --yes,-y --comment,-m=TEXT --wait
 --wait-limit=SECONDS --out=FILE --match=PATTERN --in-group=GROUP --cluster=CLUSTER
settings delete: LEVEL NAME --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS
 --out=FILE --cluster=CLUSTER
settings copy: LEVEL NAME TO_LEVEL TO_NAME SETTING* --dry-run --yes,-y --comment,-m=TEXT --wait
 --wait-limit=SECONDS --out=FILE --cluster=CLUSTER
settings move: LEVEL NAME TO_LEVEL TO_NAME SETTING* --dry-run --yes,-y --comment,-m=TEXT --wait
 --wait-limit=SECONDS --out=FILE --cluster=CLUSTER
draft list: --cluster=CLUSTER
draft show: --of=OPERATOR --cluster=CLUSTER
draft set: LEVEL NAMES_VALUES* --match=PATTERN --in-group=GROUP --cluster=CLUSTER
draft unset: LEVEL NAMES_SETTINGS* --match=PATTERN --in-group=GROUP --cluster=CLUSTER
draft remove: LEVEL NAME SETTING* --cluster=CLUSTER
draft keep: LEVEL NAME SETTING* --cluster=CLUSTER
draft share: --cluster=CLUSTER
draft unshare: --cluster=CLUSTER
draft discard: --yes,-y --cluster=CLUSTER
draft restore: --cluster=CLUSTER
draft commit: --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS --out=FILE
 --of=OPERATOR --cluster=CLUSTER
commit history: --cluster=CLUSTER --limit=COMMITS
commit show: REVISION --cluster=CLUSTER
commit diff: FROM TO --cluster=CLUSTER
commit apply: FILE --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS
commit revert: REVISION --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS
 --out=FILE --cluster=CLUSTER
commit rollback: REVISION --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS
 --out=FILE --cluster=CLUSTER
recover: CLUSTER --dry-run --yes,-y --comment,-m=TEXT --wait --wait-limit=SECONDS --out=FILE
audit list: --who=NAME --what=OPERATION --cluster=CLUSTER --outcome={done|refused} --since=TIME
 --until=TIME --limit=ENTRIES
audit show: ENTRY
audit export: --who=NAME --what=OPERATION --cluster=CLUSTER --outcome={done|refused} --since=TIME
 --until=TIME
audit verify: --against-agents
delivery status: --cluster=CLUSTER --machine=MACHINE
delivery dead: --cluster=CLUSTER --group=GROUP --machine=MACHINE --intake=ADDRESS
delivery retry: --cluster=CLUSTER --group=GROUP --machine=MACHINE --dry-run --yes,-y
 --comment,-m=TEXT --intake=ADDRESS --mid=MID --which={waiting|dead|all}
delivery move: --cluster=CLUSTER --group=GROUP --machine=MACHINE --dry-run --yes,-y
 --comment,-m=TEXT --from=ADDRESS --to=ADDRESS --mid=MID --which={waiting|dead|all}
delivery drop: --cluster=CLUSTER --group=GROUP --machine=MACHINE --dry-run --yes,-y
 --comment,-m=TEXT --intake=ADDRESS --mid=MID --which={waiting|dead|all}
login: USER --password-file=FILE --code=CODE --provider --device --no-browser
logout:
whoami:
user create: USER --role=ROLE --cluster=CLUSTER --group=CLUSTER/GROUP --password-file=FILE
 --without-password --subject=SUBJECT
user list:
user show: USER
user set-role: USER --role=ROLE --cluster=CLUSTER --group=CLUSTER/GROUP --yes,-y
user set-password: USER --password-file=FILE --old-password-file=FILE
user set-codes: --password-file=FILE --begin --secret-file=FILE --code=CODE
user remove-codes: USER --yes,-y
user delete: USER --yes,-y
session list: --user=USER --all
session end: ID* --user=USER --yes,-y
token create: LABEL --role=ROLE --cluster=CLUSTER --group=CLUSTER/GROUP --lifetime=TIME
token list: --user=USER --all
token revoke: ID* --yes,-y
operator list:
operator withdraw: FINGERPRINT --reason=TEXT --yes,-y
manager list:
manager status:
"""
