from django.urls import path

from labeling.pages import account, annotate, annotators, history, imports, items, keys, label_schema, members, projects

urlpatterns = [
    path("login/", account.login, name="login"),
    path("logout/", account.logout, name="logout"),
    path("account/", account.account, name="account"),
    path("theme/", account.theme, name="theme"),
    path("", projects.project_list, name="projects"),
    path("projects/new/", projects.new_project, name="new_project"),
    path("projects/<slug:slug>/annotate/", annotate.annotate, name="annotate"),
    path("projects/<slug:slug>/annotators/", annotators.annotators, name="annotators"),
    path("projects/<slug:slug>/items/<int:item_id>/", items.item, name="item_page"),
    path("projects/<slug:slug>/history/", history.history, name="history"),
    path("projects/<slug:slug>/classes/", label_schema.label_schema, name="label_schema"),
    path("projects/<slug:slug>/imports/", imports.import_list, name="imports"),
    path("projects/<slug:slug>/imports/preview/", imports.import_preview, name="import_preview"),
    path("projects/<slug:slug>/members/", members.members, name="members"),
    path("projects/<slug:slug>/keys/", keys.keys, name="keys"),
]
