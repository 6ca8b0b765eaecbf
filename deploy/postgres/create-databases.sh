#!/usr/bin/env bash
# Runs once, when the container's data directory is new: a database and a role for every service,
# and no way for one of them to connect to another's.
set -euo pipefail

close_to_others() {
  psql --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
    --command "REVOKE CONNECT, TEMPORARY ON DATABASE $1 FROM PUBLIC"
}

for service in ingest health cadence nps metrics; do
  password_variable="${service^^}_DATABASE_PASSWORD"
  psql --set ON_ERROR_STOP=1 --username postgres --dbname postgres \
    --set role="${service}_app" --set database="$service" --set password="${!password_variable}" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE DATABASE :"database" OWNER :"role";
SQL
  close_to_others "$service"
done
close_to_others postgres
close_to_others template1
