from django.urls import path

from labeling.api import health, imports, keys, media, members, model_versions, predictions, projects, tasks

urlpatterns = [
    path("health", health.HealthView.as_view(), name="health"),
    path("projects", projects.ProjectList.as_view(), name="projects"),
    path("projects/<slug:slug>", projects.ProjectDetail.as_view(), name="project"),
    path("projects/<slug:slug>/schemas", projects.LabelSchemaList.as_view(), name="schemas"),
    # POST of items is here in items.py; the wiring joins it with the list, which datasets has.
    path("projects/<slug:slug>/predictions", predictions.PredictionIntake.as_view(), name="predictions"),
    path("projects/<slug:slug>/model-versions", model_versions.ModelVersionList.as_view(), name="model-versions"),
    path("projects/<slug:slug>/keys", keys.KeyList.as_view(), name="keys"),
    path("projects/<slug:slug>/keys/<int:key_id>", keys.KeyDetail.as_view(), name="key"),
    path("projects/<slug:slug>/members", members.MemberList.as_view(), name="members"),
    path("projects/<slug:slug>/members/<str:username>", members.MemberDetail.as_view(), name="member"),
    path("projects/<slug:slug>/media", media.MediaList.as_view(), name="media"),
    path("projects/<slug:slug>/media/<str:sha256>", media.MediaContent.as_view(), name="media-content"),
    path("projects/<slug:slug>/imports", imports.ImportList.as_view(), name="imports"),
    path("projects/<slug:slug>/imports/<int:job_id>", imports.ImportDetail.as_view(), name="import"),
    path("projects/<slug:slug>/imports/<int:job_id>/errors.csv", imports.ImportErrors.as_view(), name="import-errors"),
    path("projects/<slug:slug>/imports/<int:job_id>/cancel", imports.CancelImport.as_view(), name="import-cancel"),
    path("projects/<slug:slug>/imports/<int:job_id>/retry", imports.RetryImport.as_view(), name="import-retry"),
    path("projects/<slug:slug>/tasks", tasks.TaskList.as_view(), name="tasks"),
    path("projects/<slug:slug>/tasks/next", tasks.NextTasks.as_view(), name="tasks-next"),
    path("projects/<slug:slug>/tasks/extend", tasks.ExtendTasks.as_view(), name="tasks-extend"),
    path("projects/<slug:slug>/tasks/undo", tasks.UndoAnswer.as_view(), name="tasks-undo"),
    path("projects/<slug:slug>/tasks/<int:task_id>/submit", tasks.SubmitTask.as_view(), name="task-submit"),
    path("projects/<slug:slug>/tasks/<int:task_id>/skip", tasks.SkipTask.as_view(), name="task-skip"),
    path("projects/<slug:slug>/tasks/<int:task_id>/release", tasks.ReleaseTask.as_view(), name="task-release"),
    path("projects/<slug:slug>/tasks/<int:task_id>/draft", tasks.TaskDraft.as_view(), name="task-draft"),
    path("projects/<slug:slug>/tasks/<int:task_id>/extend", tasks.ExtendTask.as_view(), name="task-extend"),
]
