# What specs, tests and benchmarks need beside OpenResty's own image. Only built where an image registry
# answers; base-image makes the same from Debian's packages where none does.
ARG BASE
FROM ${BASE}
ARG PACKAGES
RUN apt-get update && apt-get install --yes --no-install-recommends ${PACKAGES} luarocks gcc make \
  && luarocks --lua-version 5.1 install busted && rm -rf /var/lib/apt/lists/*
ENV PATH=/usr/local/openresty/luajit/bin:/usr/local/openresty/bin:/usr/local/openresty/nginx/sbin:${PATH}
