"""Canned ACLs, and the grants that they make on an object.

Source: 'Canned ACL' in the Amazon S3 user guide (docs.aws.amazon.com, 'Access control list (ACL) overview').
"""

from export_monitor.domain.model import Grant, ObjectAcl

EVERYONE = "http://acs.amazonaws.com/groups/global/AllUsers"
ANY_AWS_ACCOUNT = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
# The account to which aws-exec-read grants access: EC2 reads machine images with it.
EC2 = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c"

_FULL = "FULL_CONTROL"
_BUCKET_OWNER = "bucket owner"

# In addition to the owner's full control.
_GRANTED: dict[str, tuple[Grant, ...]] = {
    "private": (),
    "public-read": (Grant(EVERYONE, "READ"),),
    "public-read-write": (Grant(EVERYONE, "READ"), Grant(EVERYONE, "WRITE")),
    "authenticated-read": (Grant(ANY_AWS_ACCOUNT, "READ"),),
    "aws-exec-read": (Grant(EC2, "READ"),),
    "bucket-owner-read": (Grant(_BUCKET_OWNER, "READ"),),
    "bucket-owner-full-control": (Grant(_BUCKET_OWNER, _FULL),),
}
CANNED_ACLS = tuple(_GRANTED)


def needs_bucket_owner(canned_acl: str) -> bool:
    """Whether the grants of a canned ACL depend on the bucket's owner."""
    return any(grant.grantee == _BUCKET_OWNER for grant in _GRANTED.get(canned_acl, ()))


def grants_of(canned_acl: str, acl: ObjectAcl) -> frozenset[Grant]:
    """The grants that a canned ACL makes on an object, given the owners in `acl`."""
    grants = {Grant(acl.owner, _FULL)}
    for grant in _GRANTED[canned_acl]:
        grantee = acl.bucket_owner if grant.grantee == _BUCKET_OWNER else grant.grantee
        # If the bucket's owner owns the object, full control already includes every other permission.
        if grantee is not None and grantee != acl.owner:
            grants.add(Grant(grantee, grant.permission))
    return frozenset(grants)


def describe(acl: ObjectAcl) -> list[str]:
    """Grants as text for people, sorted; grants to the public are named as such."""
    names = {
        acl.owner: "the object's owner",
        acl.bucket_owner: "the bucket's owner",
        EVERYONE: "everyone (public)",
        ANY_AWS_ACCOUNT: "any AWS account (public)",
        EC2: "Amazon EC2",
    }
    names[acl.owner] = "the object's owner"
    return sorted(f"{names.get(grant.grantee, grant.grantee)}: {grant.permission}" for grant in acl.grants)
