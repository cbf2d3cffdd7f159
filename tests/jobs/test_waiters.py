"""When a wait for SageMaker ends, and with what."""

from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError

from training.jobs.aws import waiters


@pytest.fixture
def statuses(sagemaker: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the next descriptions report, one after the other; the last one is "AccessDenied" if the list runs out."""
    reported: list[str] = []
    monkeypatch.setattr(waiters, "POLL_S", 0)

    def reply(model: Any, params: dict[str, Any], **_: Any) -> Any:
        if not reported:
            error = {"Error": {"Code": "AccessDeniedException", "Message": "no"}, "ResponseMetadata": {}}
            return AWSResponse(params["url"], 400, HTTPHeaders(), None), error
        (path,) = [one for one in model.output_shape.members if one.endswith("Status") and one in PATHS]
        return AWSResponse(params["url"], 200, HTTPHeaders(), None), {path: reported.pop(0)}

    sagemaker.meta.events.register("before-call.sagemaker", reply)
    return reported


PATHS = {"TrainingJobStatus", "HyperParameterTuningJobStatus", "PipelineExecutionStatus", "EndpointStatus"}
ENDS: tuple[tuple[str, str, str, str], ...] = (
    ("training_job_completed_or_stopped", "DescribeTrainingJob", "TrainingJobName", "InProgress Stopping Stopped"),
    ("training_job_completed_or_stopped", "DescribeTrainingJob", "TrainingJobName", "InProgress Failed"),
    ("tuning_job_ended", "DescribeHyperParameterTuningJob", "HyperParameterTuningJobName", "InProgress Completed"),
    ("tuning_job_ended", "DescribeHyperParameterTuningJob", "HyperParameterTuningJobName", "Stopping Failed"),
    ("pipeline_execution_ended", "DescribePipelineExecution", "PipelineExecutionArn", "Executing Succeeded"),
    ("endpoint_update_ended", "DescribeEndpoint", "EndpointName", "Updating RollingBack InService"),
    ("endpoint_update_ended", "DescribeEndpoint", "EndpointName", "RollingBack UpdateRollbackFailed"),
)


@pytest.mark.parametrize(("waiter", "operation", "parameter", "reported"), ENDS)
def test_wait_shows_every_status_and_ends_at_the_last(
    sagemaker: Any, statuses: list[str], waiter: str, operation: str, parameter: str, reported: str
) -> None:
    statuses += reported.split()
    shown: list[Any] = []
    name = "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/p/execution/e"
    last = waiters.wait(sagemaker, waiter, operation, shown.append, **{parameter: name[:63]})
    assert [next(iter(one.values())) for one in shown] == reported.split()
    assert next(iter(last.values())) == reported.split()[-1]


def test_refused_description_is_the_error_of_aws(sagemaker: Any, statuses: list[str]) -> None:
    statuses += ["InProgress"]
    with pytest.raises(ClientError, match="AccessDeniedException"):
        waiters.wait(sagemaker, *ENDS[0][:2], lambda _: None, TrainingJobName="t")


@pytest.mark.parametrize("waiter", list(waiters.OWN_WAITERS.values()), ids=list(waiters.OWN_WAITERS))
def test_own_waiters_name_statuses_of_the_api(sagemaker: Any, waiter: Any) -> None:
    described = sagemaker.meta.service_model.operation_model(waiter["operation"]).output_shape.members
    for acceptor in waiter["acceptors"]:
        assert acceptor["expected"] in described[acceptor["argument"]].enum
