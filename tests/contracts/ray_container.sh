#!/bin/sh
# What AWS's Ray Serve container does when SageMaker starts it, in namespaces of its own: $1 is /opt, $2 the folder of
# Ray's sockets, $3 the port of Ray Serve, $4 that of Ray itself. Here pip has no network.
set -e
mount --bind "$1" /opt
export PYTHONPATH=/opt/ml/model RAY_ADDRESS="127.0.0.1:$4"
unshare --net pip install --quiet --disable-pip-version-check -r /opt/ml/model/code/requirements.txt
ray start --head --block --node-ip-address=127.0.0.1 --port="$4" --temp-dir="$2" \
  --include-dashboard=False --num-gpus=0 --num-cpus=1 --object-store-memory=80000000 &
for _ in $(seq 60); do
  sleep 2
  if serve start --http-host=127.0.0.1 --http-port="$3"; then break; fi
done
exec serve run /opt/ml/model/config.yaml
