# Copy to backend.hcl. The bucket is made by hand, once: see docs/deploying.md.
bucket = "acme-errors-state"
prefix = "mesher"
