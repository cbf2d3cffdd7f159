"""The users of the review page's pool."""

import secrets
import string

from local.stack.deployed_stack import NotDeployed, Stack

ALPHABET = string.ascii_letters + string.digits


def one_time_password(stack: Stack, email: str) -> str:
    """A password with which a reviewer signs in once, to choose another. Makes the user if there is none.

    Raises:
        NotDeployed: the stack has no review page.
    """
    if "ReviewUserPoolId" not in stack.outputs:
        raise NotDeployed(f"stack {stack.name!r} has no review page: deploy it with ReviewPage=yes")
    pools, pool = stack.cloud.user_pools(), stack.outputs["ReviewUserPoolId"]
    password = f"aA0{''.join(secrets.choice(ALPHABET) for _ in range(17))}"  # has a character of each required kind
    attributes = [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}]
    try:
        pools.admin_create_user(
            UserPoolId=pool,
            Username=email,
            TemporaryPassword=password,
            UserAttributes=attributes,
            MessageAction="SUPPRESS",
        )
    except pools.exceptions.UsernameExistsException:
        pools.admin_set_user_password(UserPoolId=pool, Username=email, Password=password, Permanent=False)
    return password
