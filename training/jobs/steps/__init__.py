"""The jobs of SageMaker: what each asks for, the code it runs, and waiting for its end."""
