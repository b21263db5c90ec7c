# docker build -t aebuild . && docker run --rm -v "$PWD:/work" aebuild train vqvae
# A server: docker run --rm -p 8000:8000 -e AEBUILD_TOKEN -v "$PWD:/work" aebuild serve runs/vqvae --host 0.0.0.0
FROM python:3.12-slim
COPY pyproject.toml setup.py constraints.txt README.md LICENSE /src/
COPY aebuild /src/aebuild
COPY specs /src/specs
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -c /src/constraints.txt '/src[parquet,text,serve,hub]' \
    && rm -rf /src && useradd --create-home user
USER user
WORKDIR /work
ENTRYPOINT ["aebuild"]
CMD ["--help"]
