"""The review page behind an HTTP API; its users are those of a Cognito user pool."""

from urllib.parse import urlsplit

import jwt
import urllib3
from mangum import Mangum

from inventory import clients
from inventory.check_store import CheckStore
from inventory.claims import Claims
from inventory.review_queue import ReviewQueue
from inventory.settings import ReviewSettings
from review.app import create_app
from review.cognito import CognitoAccess, Members, UserPool
from review.desk import Desk

KEYS_LIFE_S = 3600

config = ReviewSettings.from_environment()
table = clients.checks_table(config.checks_table)
s3 = clients.s3()
desk = Desk(CheckStore(table), ReviewQueue(table), Claims(table), s3)
http = urllib3.PoolManager(retries=False)


def access() -> CognitoAccess:
    """Sign-in at the pool, wherever this process finds Cognito."""
    pool_url = f"{clients.cognito_url()}/{config.user_pool_id}"
    pool = UserPool.discover(pool_url, config.client_id, http)
    keys = jwt.PyJWKClient(pool.jwks_uri, lifespan=KEYS_LIFE_S, timeout=5)
    return CognitoAccess(pool, config.url, http, keys, Members(clients.cognito(), config.user_pool_id))


def images() -> str:
    """The origins of the addresses of images, as a Content-Security-Policy lists them."""
    origins = []
    for bucket in config.buckets:
        parts = urlsplit(s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "x"}))
        origins.append(f"{parts.scheme}://{parts.netloc}")
    return " ".join(origins)


app = create_app(
    desk,
    access(),
    hosts=[config.host],
    images=images(),
    secret=clients.secrets().get_secret_value(SecretId=config.secret_arn)["SecretString"],
    https=config.https,
)
handler = Mangum(app, lifespan="off")
