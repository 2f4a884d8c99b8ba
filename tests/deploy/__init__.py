"""docker-compose.yml, the image and the roles, without Docker: files checked, commands run."""
