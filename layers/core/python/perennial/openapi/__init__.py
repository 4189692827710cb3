"""The API described for machines: its OpenAPI document, made from the table of operations and the models of bodies."""

from perennial.openapi.document import AUTH, Document, document, model_document, served

__all__ = ["AUTH", "Document", "document", "model_document", "served"]
