# The README's first command on a CPU: docker build -t lmrep . && docker run -v "$PWD/out:/lmrep/figures/miniature" lmrep
FROM python:3.13-slim-bookworm
WORKDIR /lmrep
COPY requirements.lock ./
RUN python3 -m venv .venv && .venv/bin/pip install -q -r requirements.lock
COPY . ./
CMD [".venv/bin/snakemake", "--cores", "all", "figures", "--configfile", "miniature.yaml"]
