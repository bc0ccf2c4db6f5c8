# shellcheck shell=sh
# Read by the entry point of Label Studio's image: it knows no files of secrets, so this makes variables of them.
POSTGRE_PASSWORD=$(cat /run/secrets/postgres_password)
# Login and token of the first account, taken when it is created, at the first start.
LABEL_STUDIO_PASSWORD=$(cat /run/secrets/label_studio_password)
LABEL_STUDIO_USER_TOKEN=$(cat /run/secrets/label_studio_token)
export POSTGRE_PASSWORD LABEL_STUDIO_PASSWORD LABEL_STUDIO_USER_TOKEN
