"""/projects/{slug}/reviews: the cases that reviewers are to decide about, and their decisions."""

from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from datasets import review_board
from datasets.api.review_serializers import (
    BelievedSerializer,
    ClaimSerializer,
    NewReviewDecisionSerializer,
    NewReviewSerializer,
    NextReviewSerializer,
    NextReviewWanted,
    ReviewDecisionSerializer,
    ReviewDetailSerializer,
    ReviewFilters,
    ReviewSerializer,
    ReviewSuggestionSerializer,
    ReviewWanted,
    SaidSerializer,
)
from datasets.models import ReviewCase, ReviewDecision
from datasets.services import review
from labeling import selectors
from labeling.access import Capability
from labeling.edges import IdCursorPagination, ProjectView
from labeling.errors import NotAllowed, NotFound
from labeling.models import Item

_Action = ReviewDecision.Action


class ReviewerView(ProjectView):
    """Reading needs the permission to read; what changes a case is done by people, never with an API key."""

    capabilities = {"GET": Capability.READ, "POST": Capability.REVIEW}

    @property
    def reviewer(self) -> User:
        if self.caller.user is None:
            raise NotAllowed("Reviews are made by people, not with an API key.", code="permission_denied")
        return self.caller.user


class ReviewList(ReviewerView):
    pagination_class = IdCursorPagination

    @extend_schema(
        operation_id="reviews_list",
        summary="List review cases",
        parameters=[ReviewFilters],
        responses=ReviewSerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """In the order in which they were opened; `value` says what a decision is expected to be worth."""
        filters = ReviewFilters(data=request.query_params.dict())
        filters.is_valid(raise_exception=True)
        wanted = dict(filters.validated_data)
        if (item_key := wanted.pop("item_key", None)) is not None:
            wanted["item__key"] = item_key
        cases = ReviewCase.objects.filter(project=self.project, **wanted).select_related("item", "claimed_by")
        paginator = self.pagination_class()
        page = paginator.paginate_queryset(cases.defer("item__payload", "item__segments"), request, view=self)
        return paginator.get_paginated_response(ReviewSerializer(page, many=True).data)

    @extend_schema(
        operation_id="reviews_create",
        summary="Send an item to review",
        request=NewReviewSerializer,
        responses={201: ReviewSerializer, 200: ReviewSerializer},
    )
    def post(self, request: Request, slug: str) -> Response:
        """201 with a new case; 200 with the open one if the item has one, which goes up in the order."""
        wanted = NewReviewSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        item = Item.objects.filter(project=self.project, key=wanted.validated_data["item_key"]).first()
        if item is None:
            raise NotFound("No such item.", code="item_not_found", fields={"item_key": "unknown"})
        sent = review.send_to_review(
            self.project, item, by=self.reviewer, now=timezone.now(), comment=wanted.validated_data["comment"]
        )
        code = status.HTTP_201_CREATED if sent.is_new else status.HTTP_200_OK
        return Response(ReviewSerializer(sent.case).data, status=code)


class NextReview(ReviewerView):
    @extend_schema(
        operation_id="reviews_next",
        summary="Claim the next case",
        request=NextReviewWanted,
        responses=NextReviewSerializer,
    )
    def post(self, request: Request, slug: str) -> Response:
        """The open case worth most that no other reviewer is at; two reviewers get different ones."""
        wanted = NextReviewWanted(data=request.data)
        wanted.is_valid(raise_exception=True)
        case = review.next_case(self.project, by=self.reviewer, now=timezone.now(), kind=wanted.validated_data["kind"])
        return Response({"review": None if case is None else ReviewSerializer(case).data})


class ReviewDetail(ReviewerView):
    @extend_schema(
        operation_id="reviews_read",
        summary="Read a review case",
        parameters=[ReviewWanted],
        responses=ReviewDetailSerializer,
    )
    def get(self, request: Request, slug: str, review_id: int) -> Response:
        """With the item, all evidence about it, what is believed of it, and what reviewers did."""
        wanted = ReviewWanted(data=request.query_params.dict())
        wanted.is_valid(raise_exception=True)
        case = review.find(self.project, review_id)
        schema = selectors.parsed_schema(self.project)
        belief = review_board.belief(case, schema)
        suggested = selectors.suggestion_about(case.item, schema) if wanted.validated_data["suggestion"] else None
        content = {
            **ReviewSerializer(case).data,
            "payload": case.item.payload,
            "segments": case.item.segments,
            "evidence": [SaidSerializer(said).data for said in review_board.evidence(case, schema)],
            "belief": None if belief is None else BelievedSerializer(belief).data,
            "decisions": ReviewDecisionSerializer(review_board.history(case), many=True).data,
            "suggestion": None if suggested is None else ReviewSuggestionSerializer(suggested).data,
        }
        return Response(content)


class ReviewClaim(ReviewerView):
    @extend_schema(
        operation_id="reviews_claim",
        summary="Claim a case, or go on holding it",
        request=None,
        responses=ClaimSerializer,
    )
    def post(self, request: Request, slug: str, review_id: int) -> Response:
        """Keeps other reviewers from starting on it for ten minutes. 409 `review_claimed` or `review_closed`."""
        until = review.claim(self.project, review_id, by=self.reviewer, now=timezone.now())
        return Response({"claimed_until": until})


class ReviewDecisions(ReviewerView):
    @extend_schema(
        operation_id="reviews_decide",
        summary="Decide a case",
        request=NewReviewDecisionSerializer,
        responses={201: ReviewDecisionSerializer},
    )
    def post(self, request: Request, slug: str, review_id: int) -> Response:
        """`decide` and `gold` need an answer, `send_back` and `ambiguous` a comment; `reopen` opens a closed case again.

        409 `review_closed` if somebody was first: the message and the fields say who and what.
        """
        wanted = NewReviewDecisionSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        given = dict(wanted.validated_data)
        action, answer, explanation = given.pop("action"), given.pop("answer"), given.pop("explanation")
        common: dict[str, Any] = {"by": self.reviewer, "now": timezone.now(), **given}
        if action == _Action.DECIDE:
            made = review.decide(self.project, review_id, answer=answer, **common)
        elif action == _Action.GOLD:
            made = review.make_gold(self.project, review_id, answer=answer, explanation=explanation, **common)
        elif action == _Action.SEND_BACK:
            made = review.send_back(self.project, review_id, **common)
        elif action == _Action.AMBIGUOUS:
            made = review.mark_ambiguous(self.project, review_id, **common)
        else:
            del common["saw_suggestion"]
            made = review.reopen(self.project, review_id, **common)
        return Response(ReviewDecisionSerializer(made).data, status=status.HTTP_201_CREATED)
